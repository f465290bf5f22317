"""Speaking and transcribing: streams of audio out, transcripts back."""
