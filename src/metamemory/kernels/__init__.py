"""The sequence operations that training time is spent in, each beside its plain reference."""
