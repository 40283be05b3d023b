package app

import (
	"context"
	"fmt"

	"gaia/domain"
)

// agent finds an agent by its name. Files of agents may have changed since the workflow was started.
func (r *workflowRun) agent(name string) (domain.Agent, error) {
	for _, a := range r.workflows.Agents {
		if a.Name == name {
			return a, nil
		}
	}
	return domain.Agent{}, r.halt(workflowFailed("There is no agent called %s any more", name))
}

func (r *workflowRun) team() ([]domain.Agent, error) {
	var team []domain.Agent
	for _, name := range r.about.Agents {
		a, err := r.agent(name)
		if err != nil {
			return nil, err
		}
		team = append(team, a)
	}
	return team, nil
}

// playAgent has one agent work on the task.
func (r *workflowRun) playAgent(ctx context.Context) (string, error) {
	return r.workAlone(ctx, r.about.Agents[0])
}

func (r *workflowRun) workAlone(ctx context.Context, name string) (string, error) {
	agent, err := r.agent(name)
	if err != nil {
		return "", err
	}
	output, _, err := r.converse(ctx, "agent", agent, domain.TaskPrompt(agent.Instruction, r.about.Task, r.about.Input), true)
	return output, err
}

// playRouter has a model decide which agent takes the task.
func (r *workflowRun) playRouter(ctx context.Context) (string, error) {
	team, err := r.team()
	if err != nil {
		return "", err
	}
	messages, format := domain.RoutePrompt(team, r.about.Task, r.about.Input)
	var route domain.Route
	_, err = r.ask(ctx, modelStep{key: "route", kind: domain.StepRoute, messages: messages, format: format}, func(answer string) (err error) {
		route, err = domain.ParseRoute(answer, r.about.Agents)
		return err
	})
	if err != nil {
		return "", err
	}
	return r.workAlone(ctx, route.Agent)
}

// playParallel has all agents work on the task at once, and a model make one answer of theirs.
func (r *workflowRun) playParallel(ctx context.Context) (string, error) {
	team, err := r.team()
	if err != nil {
		return "", err
	}
	alone := len(team) == 1
	results := make([]domain.TaskResult, len(team))
	err = r.parallel(ctx, len(team), func(ctx context.Context, i int) error {
		output, _, err := r.converse(ctx, "branch-"+team[i].Name, team[i], domain.TaskPrompt(team[i].Instruction, r.about.Task, r.about.Input), alone)
		results[i] = domain.TaskResult{Agent: team[i].Name, Result: output}
		return err
	})
	if err != nil || alone {
		return results[0].Result, err
	}
	return r.combine(ctx, results)
}

func (r *workflowRun) combine(ctx context.Context, results []domain.TaskResult) (string, error) {
	answer, err := r.model(ctx, modelStep{
		key: "combine", kind: domain.StepCombine, messages: domain.CombinePrompt(r.about.Task, r.about.Input, results), voice: true,
	})
	return answer.Content, err
}

// playOrchestrator has a model plan, agents work on the tasks of the plan at once, and the model plan again or finish.
func (r *workflowRun) playOrchestrator(ctx context.Context) (string, error) {
	team, err := r.team()
	if err != nil {
		return "", err
	}
	rounds := r.about.Limits.Iterations
	talk, format := domain.PlanPrompt(team, r.about.Task, r.about.Input, rounds)
	for round := 1; round <= rounds; round++ {
		var plan domain.Plan
		said, err := r.ask(ctx, modelStep{key: fmt.Sprintf("plan-%d", round), kind: domain.StepPlan, messages: talk, format: format},
			func(answer string) (err error) {
				plan, err = domain.ParsePlan(answer, r.about.Agents)
				return err
			})
		switch {
		case err != nil:
			return "", err
		case plan.Finished && r.about.PersonaID == "":
			return plan.Answer, nil
		case plan.Finished:
			return r.combine(ctx, []domain.TaskResult{{Agent: "planner", Result: plan.Answer}})
		}
		results, err := r.workOn(ctx, round, plan.Tasks)
		if err != nil {
			return "", err
		}
		talk = append(talk, domain.PromptMessage{Role: domain.RoleAssistant, Content: said},
			domain.PromptMessage{Role: domain.RoleUser, Content: domain.PlanResults(results, rounds-round)})
	}
	return "", r.halt(workflowFailed("The planner has not finished within %d plans", rounds))
}

// workOn has agents do the tasks of a plan, all at once.
func (r *workflowRun) workOn(ctx context.Context, round int, tasks []domain.PlanTask) ([]domain.TaskResult, error) {
	results := make([]domain.TaskResult, len(tasks))
	err := r.parallel(ctx, len(tasks), func(ctx context.Context, i int) error {
		agent, err := r.agent(tasks[i].Agent)
		if err != nil {
			return err
		}
		output, _, err := r.converse(ctx, fmt.Sprintf("worker-%d.%d", round, i+1), agent, domain.TaskPrompt(agent.Instruction, tasks[i].Task, nil), false)
		results[i] = domain.TaskResult{Agent: agent.Name, Result: output}
		return err
	})
	return results, err
}

// playEvaluator has one agent write and another judge until the draft is good enough, or as often as is allowed. The best draft counts.
func (r *workflowRun) playEvaluator(ctx context.Context) (string, error) {
	team, err := r.team()
	if err != nil {
		return "", err
	}
	writer, critic := team[0], team[1]
	writing := domain.TaskPrompt(writer.Instruction, r.about.Task, r.about.Input)
	var (
		judging   []domain.PromptMessage
		format    *domain.ResponseFormat
		best      string
		bestSoFar domain.Judgement
	)
	for round := 1; round <= r.about.Limits.Iterations; round++ {
		draft, talk, err := r.converse(ctx, fmt.Sprintf("draft-%d", round), writer, writing, true)
		if err != nil {
			return "", err
		}
		if round == 1 {
			judging, format = domain.JudgePrompt(critic.Instruction, r.about.Task, r.about.Input, draft)
		} else {
			judging = append(judging, domain.PromptMessage{Role: domain.RoleUser, Content: domain.NextDraft(draft)})
		}
		var judgement domain.Judgement
		said, err := r.ask(ctx, modelStep{key: fmt.Sprintf("judge-%d", round), kind: domain.StepEvaluate, agent: critic, messages: judging, format: format},
			func(answer string) (err error) {
				judgement, err = domain.ParseJudgement(answer)
				return err
			})
		if err != nil {
			return "", err
		}
		if round == 1 || !bestSoFar.Better(judgement) {
			best, bestSoFar = draft, judgement
		}
		if judgement.GoodEnough() {
			return draft, nil
		}
		writing = append(talk, domain.PromptMessage{Role: domain.RoleUser, Content: domain.Feedback(judgement)})
		judging = append(judging, domain.PromptMessage{Role: domain.RoleAssistant, Content: said})
	}
	return best, nil
}
