package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gaia/adapters/agentfiles"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// loadAgents reads the agents of AGENTS_DIR, or has the built-in ones.
func loadAgents(dir string) ([]domain.Agent, error) {
	if dir == "" {
		return domain.BuiltInAgents(), nil
	}
	agents, err := agentfiles.Read(dir)
	if err != nil {
		return nil, fmt.Errorf("AGENTS_DIR: %w", err)
	}
	return agents, nil
}

func (c *config) workflowConfig() app.WorkflowConfig {
	return app.WorkflowConfig{
		AtOnce: c.WorkflowsAtOnce, Lease: c.WorkflowLease.duration(), Poll: min(c.WorkflowLease.duration(), 5*time.Second),
		PerOwner: c.WorkflowsPerOwner,
		Bounds: domain.WorkflowBounds{
			Default: domain.WorkflowLimits{
				Iterations: c.WorkflowIterations, Tokens: c.WorkflowTokens, Cost: domain.FromDollars(c.WorkflowCost), Duration: c.WorkflowDuration.duration(),
			},
			Max: domain.WorkflowLimits{
				Iterations: c.WorkflowMaxIterations, Tokens: c.WorkflowMaxTokens, Cost: domain.FromDollars(c.WorkflowMaxCost),
				Duration: c.WorkflowMaxDuration.duration(),
			},
		},
	}
}

func (c *config) checkWorkflows() error {
	limits := c.workflowConfig().Bounds
	switch least := (domain.WorkflowLimits{Iterations: 1, Tokens: 1, Cost: 1, Duration: time.Second}); {
	case c.WorkflowLease.duration() < 300*time.Millisecond:
		return errors.New("WORKFLOW_LEASE: is below 0.3")
	case c.WorkflowsPerOwner < 1:
		return errors.New("WORKFLOWS_PER_OWNER: is below 1")
	case !limits.Default.Within(limits.Max):
		return errors.New("a WORKFLOW_ limit is above the WORKFLOW_MAX_ one that goes with it")
	case !least.Within(limits.Default):
		return errors.New("WORKFLOW_ITERATIONS, WORKFLOW_TOKENS, WORKFLOW_COST_USD and WORKFLOW_DURATION: must be above 0, and the last one a second or more")
	}
	return nil
}

// keptWorkflows are those that have ended.
func keptWorkflows(c config, db database) app.Kept {
	return app.Kept{For: time.Duration(c.WorkflowDays) * 24 * time.Hour, Expire: db.workflows.Expire}
}

// workflowParts is what workflows are made of.
type workflowParts struct {
	store    ports.WorkflowStore
	queue    ports.WorkQueue
	chat     *app.Chat
	personas *app.Personas
	keys     *app.APIKeys
	relay    *app.Relay
	onlyOwn  bool // of this process
}

// startWorkflows works on workflows in the background. It stops before the chats, the tools and the database.
func (s *system) startWorkflows(c config, p workflowParts, log *slog.Logger) (*app.Workflows, error) {
	agents, err := loadAgents(c.AgentsDir)
	if err != nil {
		return nil, err
	}
	tuned := c.workflowConfig()
	tuned.OnlyOwn = p.onlyOwn
	deps := app.WorkflowDeps{
		Store: p.store, Queue: p.queue, Chat: p.chat, Personas: p.personas, Agents: agents, Works: p.keys.StillWorks, Stored: p.relay.Wake,
		Watch: s.watchWork(),
		Troubled: func(id string, err error) {
			log.Error("a workflow could not go on; it is tried again", "workflow", id, "error", err.Error())
		},
		Now: time.Now, NewID: newID, Config: tuned,
	}
	if s.tools != nil {
		deps.Tools = s.tools
	}
	flows := app.NewWorkflows(deps)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c.WorkflowsAtOnce > 0 {
			flows.Run(ctx)
		}
	}()
	s.onEnd(cancel)
	s.onClose(func() { <-done; flows.Close() })
	return flows, nil
}
