"""The API's requests and answers, without I/O."""
