"""The papers: what each reports and claims, and its tables and figures."""
