"""The price of a flight to the moon and back."""
