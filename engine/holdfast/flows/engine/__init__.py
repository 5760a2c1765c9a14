"""What runs flows: the engine, and what it makes of each flow that it takes."""
