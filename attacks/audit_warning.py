"""The category of every warning that an audit gives, so that it can be filtered on its own."""


class AuditWarning(UserWarning):
    """Something about the experiment, not about Python, that changes what a leakage number means."""
