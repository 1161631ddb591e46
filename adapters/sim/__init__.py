"""A world that is only simulated: machines, scheduler, clock."""
