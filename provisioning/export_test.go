package provisioning

// Flagged is how many overdue matters of a tenant are remembered.
func (s *Service) Flagged(tenant string) int {
	kept, _ := s.flagged.Load(tenant)
	ids, _ := kept.(map[string]bool)
	return len(ids)
}
