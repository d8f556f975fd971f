package main

import (
	"context"
	"time"

	"github.com/tillbook/tillbook/examples/torture/mix"
)

// scenario is a way to break the deployment.
type scenario struct {
	name string
	// short says that it is one of the five that tell most.
	short bool
	// disks and clocks say what it needs beside the deployment.
	disks, clocks bool
	// traffic is what runs meanwhile.
	traffic func() mix.Config
	// fault breaks something, says when that is over (trial.ends) and undoes what
	// doesn't mend itself. What was killed is started again by rack.whole.
	fault func(context.Context, *trial) error
}

// scenarios are all there are.
func scenarios() []scenario {
	return []scenario{
		{name: "replica-kill", short: true, traffic: mix.Steady, fault: busily(killReplica)},
		{name: "rolling-term", traffic: mix.Steady, fault: busily(rollReplicas)},
		{name: "replica-stop", traffic: mix.Steady, fault: busily(stopReplica)},
		{name: "clock", clocks: true, traffic: mix.Steady, fault: skewClock},
		{name: "primary-kill", short: true, traffic: mix.Steady, fault: busily(killPrimary)},
		{name: "standby-lost", traffic: mix.Steady, fault: loseStandbys(1)},
		{name: "standbys-lost", traffic: mix.Steady, fault: loseStandbys(2)},
		{name: "half-open", traffic: mix.Steady, fault: busily(silenceDatabase)},
		{name: "commit-lost", short: true, traffic: mix.Steady, fault: busily(loseCommits)},
		{name: "slow-50", traffic: mix.Steady, fault: slowDatabase(50 * time.Millisecond)},
		{name: "slow-500", traffic: mix.Steady, fault: slowDatabase(500 * time.Millisecond)},
		{name: "throttled", traffic: mix.Steady, fault: throttleDatabase},
		{name: "old-primary", short: true, traffic: mix.Steady, fault: busily(cutOffPrimary)},
		{name: "hot-merchant", traffic: hotMerchant, fault: rushHour(15*time.Second, 40)},
		{name: "balancer-kill", short: true, traffic: manyTerminals, fault: busily(killBalancer)},
		{name: "disk-full", disks: true, traffic: mix.Steady, fault: fillDisk},
		{name: "otlp-hang", traffic: mix.Steady, fault: hangCollector},
		{name: "overload", traffic: mix.Steady, fault: overload},
	}
}

// hotMerchant has everybody pay one merchant as fast as they can.
func hotMerchant() mix.Config {
	c := mix.Steady()
	c.Groups, c.Customers, c.Tills, c.Pause = 1, 8, 32, 10*time.Millisecond
	return c
}

// manyTerminals has a fleet of them.
func manyTerminals() mix.Config {
	c := mix.Steady()
	c.Terminals = 24
	return c
}
