package provisioning

import (
	"context"
	"time"
)

// AskAt asks host applications at once and at each tick.
func (s *Service) AskAt(ctx context.Context, ticks <-chan time.Time, report func(error)) {
	s.askAt(ctx, ticks, report)
}

// Flagged is how many overdue matters of a tenant are remembered.
func (s *Service) Flagged(tenant string) int {
	kept, _ := s.flagged.Load(tenant)
	ids, _ := kept.(map[string]bool)
	return len(ids)
}
