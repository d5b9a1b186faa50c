"""Table 1, Figure 5 and Figure 6 of the paper, and what the gates do, from what runs of MMPose leave on disk."""
