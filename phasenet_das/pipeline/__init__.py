"""The Python behind the workflow: its stages, jobs, lock, and how it is started."""
