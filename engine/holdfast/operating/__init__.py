"""What an operator does with flows, independent of any screen: neither click nor web."""
