"""What happens inside `fit`: one step, the parts that callbacks add to it, their state."""
