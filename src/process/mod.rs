//! One OS process: launching it, being it, what it knows of its peers.
