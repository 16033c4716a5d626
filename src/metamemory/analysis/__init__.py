"""What a trained learner remembers: interventions on its state, traces of its memory."""
