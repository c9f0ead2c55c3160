"""A shot with known truth from free photographs, and what is measured on it."""
