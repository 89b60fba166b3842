package main

import (
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim/endpoint"
)

var observation = endpoint.Observation{Route: "/t/:tenant/scim/v2/Users/:id", Method: "PATCH", Status: 200,
	Duration: 3 * time.Millisecond, Quirks: []string{"entra-text-boolean"}}

// BenchmarkObserve is what metrics cost a request, and what a decision costs.
func BenchmarkObserve(b *testing.B) {
	m := newMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.observe(observation)
		m.decided(provisioning.ActionUpdate, provisioning.Success)
	}
}

func TestRequestsAreCountedWithoutAllocations(t *testing.T) {
	m := newMetrics()
	m.observe(observation)
	if n := testing.AllocsPerRun(100, func() {
		m.observe(observation)
		m.decided(provisioning.ActionUpdate, provisioning.Success)
		m.committed(3, time.Millisecond)
	}); n > 0 {
		t.Errorf("%v allocations a request", n)
	}
}
