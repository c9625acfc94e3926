"""A Hypothesis state machine over the whole engine in virtual time, and a model beside it."""
