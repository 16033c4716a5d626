"""Networks that classify single images, and the same networks with a memory in every layer."""
