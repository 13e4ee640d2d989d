"""What we hold and what it is worth: average-cost books in integers, and the value the breakers look at."""
