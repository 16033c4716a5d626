"""Many runs: which are missing, in what order, side by side, on one machine or several, and how they come home."""
