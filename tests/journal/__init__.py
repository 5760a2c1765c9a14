"""The journal, through its public interface."""
