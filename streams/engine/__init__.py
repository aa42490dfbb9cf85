"""The one place that knows Faust."""
