"""What all HTTP sources share: sessions, credentials, total time limits, and failures as one sentence."""
