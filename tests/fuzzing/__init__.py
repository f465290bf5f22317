"""Inputs that are broken at random: whatever is read ends in a value or in an error of the SDK's."""
