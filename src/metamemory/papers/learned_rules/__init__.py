"""Networks that learn their own learning rule, or write their own weights: the survey's chapter 6."""
