"""The flows and tasks that ship with Holdfast."""
