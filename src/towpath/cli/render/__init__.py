"""What a person sees: tables, drawings, progress, faults in words."""
