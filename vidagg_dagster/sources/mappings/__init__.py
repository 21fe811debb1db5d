"""Events of other vocabularies: each vocabulary is a file of data, and one engine reads them all."""
