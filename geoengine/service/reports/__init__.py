"""What campaigns and stores did, added up."""
