"""Events of other vocabularies: each vocabulary is a file of data, one engine reads all."""
