"""What computes: sessions of Spark, Sail and Spark Connect, and columns equal on all of them."""
