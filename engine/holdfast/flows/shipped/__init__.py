"""The flows and tasks that are shipped with Holdfast."""
