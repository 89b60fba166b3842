package main

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meibo/provisioning"
	"meibo/scim/endpoint"
	"meibo/store"
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

// What the database does not answer is left out, and the rest is told all the same.
func TestFollowerLag(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, test := range map[string]struct {
		lag  store.Lag
		err  error
		want []float64 // entries and seconds
	}{
		"none waits":      {lag: store.Lag{}, want: []float64{0, 0}},
		"some wait":       {lag: store.Lag{Waiting: 7, Oldest: now.Add(-90 * time.Second)}, want: []float64{7, 90}},
		"clocks differ":   {lag: store.Lag{Waiting: 1, Oldest: now.Add(time.Second)}, want: []float64{1, 0}},
		"does not answer": {err: errors.New("gone")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(storeCollector{func() map[string]sql.DBStats { return map[string]sql.DBStats{"shared": {}} },
				func(context.Context) (store.Lag, error) { return test.lag, test.err }, func() time.Time { return now }})
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			var got []float64
			pools := false
			for _, f := range families {
				pools = pools || f.GetName() == "meibo_db_waits_total"
				if f.GetName() == "meibo_follower_waiting_entries" || f.GetName() == "meibo_follower_lag_seconds" {
					got = append(got, f.GetMetric()[0].GetGauge().GetValue())
				}
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if !slices.Equal(got, test.want) || !pools {
				t.Errorf("lag %v, want %v; pools: %v", got, test.want, pools)
			}
		})
	}
}
