"""Learners whose memory is the state of recurrent layers."""
