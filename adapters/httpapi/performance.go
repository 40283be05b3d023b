package httpapi

import (
	"context"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
)

// V02GetPerformanceSummary tells how requests went.
func (s *server) V02GetPerformanceSummary(ctx context.Context, _ oapi.V02GetPerformanceSummaryRequestObject) (oapi.V02GetPerformanceSummaryResponseObject, error) {
	p, err := s.performance.Summary(ctx)
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetPerformanceSummary200JSONResponse{
		Summary: oapi.PerformanceTotals{
			TotalRequests: int64(p.Requests), RequestsLastHour: int64(p.Hour), RequestsLast24h: int64(p.Day), ActiveRequests: p.Active,
			AverageResponseTime: p.Times.Average.Seconds(), MinResponseTime: p.Times.Lowest.Seconds(), MaxResponseTime: p.Times.Most.Seconds(),
		},
		Providers: make(oapi.PerformanceTotalsByProvider, len(p.Providers)), HealthStatus: oapi.PerformanceStatus(p.Health),
		DataSince: timestamp(p.Since),
	}
	for provider, f := range p.Providers {
		answer.Providers[provider] = oapi.PerformanceProviderTotals{
			TotalRequests: int64(f.Attempts), AverageResponseTime: f.Times.Average.Seconds(), TotalTokens: f.Tokens,
			TotalCost: f.Cost.Dollars(), ErrorCount: int64(f.Errors), ErrorRate: f.ErrorPercent(), LastRequest: timeOrNull(f.Last),
		}
	}
	return answer, nil
}

// V02GetProviderPerformance compares the configured providers.
func (s *server) V02GetProviderPerformance(ctx context.Context, _ oapi.V02GetProviderPerformanceRequestObject) (oapi.V02GetProviderPerformanceResponseObject, error) {
	all, err := s.performance.Providers(ctx)
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetProviderPerformance200JSONResponse{
		Providers: make(oapi.PerformanceByProvider, len(all)), OverallHealth: oapi.PerformanceProvidersOverallHealthHealthy,
		Timestamp: timestamp(s.now()),
	}
	for provider, p := range all {
		verdict := p.Verdict()
		if verdict != app.VerdictHealthy {
			answer.OverallHealth = oapi.PerformanceProvidersOverallHealthWarning
		}
		answer.Providers[provider] = oapi.PerformanceOfProvider{
			Status: oapi.PerformanceStatus(verdict), AverageResponseTime: p.Times.Average.Seconds(),
			MinResponseTime: p.Times.Lowest.Seconds(), MaxResponseTime: p.Times.Most.Seconds(), TotalRequests: int64(p.Attempts),
			TotalTokens: p.Tokens, TokensPerSecond: p.TokensPerSecond(), ErrorRate: p.ErrorPercent(), UptimePercentage: p.UptimePercent(),
			LastError: timeOrNull(p.LastError), AvailableModels: p.Models, HealthScore: p.Score(),
		}
	}
	return answer, nil
}

// V02GetStageTimings tells where the time goes.
func (s *server) V02GetStageTimings(ctx context.Context, r oapi.V02GetStageTimingsRequestObject) (oapi.V02GetStageTimingsResponseObject, error) {
	limit := 100
	if r.Params.Limit != nil {
		limit = *r.Params.Limit
	}
	f, err := s.performance.Stages(ctx, limit)
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetStageTimings200JSONResponse{
		StageTimings: make(oapi.PerformanceStageTimings, len(f.Stages)), LimitApplied: limit, Timestamp: timestamp(s.now()),
		Analysis: oapi.PerformanceStageAnalysis{
			TotalAverageRequestTime: f.Average.Seconds(), BottleneckThreshold: 1, SlowestStages: []oapi.PerformanceSlowStage{},
			Recommendations: stageAdvice(f.Bottlenecks()),
		},
	}
	for _, stage := range f.Stages {
		answer.StageTimings[stage.Name] = oapi.PerformanceStage{
			AverageDuration: stage.Average.Seconds(), MinDuration: stage.Lowest.Seconds(), MaxDuration: stage.Most.Seconds(),
			Samples: stage.Samples, PercentageOfTotal: stage.Percent,
		}
	}
	for _, stage := range f.Slowest() {
		answer.Analysis.SlowestStages = append(answer.Analysis.SlowestStages, oapi.PerformanceSlowStage{
			Stage: stage.Name, AverageDuration: stage.Average.Seconds(), Percentage: stage.Percent,
		})
	}
	return answer, nil
}

// stageAdvice says in words what is slow.
func stageAdvice(bottlenecks []app.Stage) []string {
	if len(bottlenecks) == 0 {
		return []string{"No stage is slower than the threshold."}
	}
	advice := make([]string, len(bottlenecks))
	for i, stage := range bottlenecks {
		advice[i] = "Look at " + stage.Name + ": it takes longer than a second on average."
	}
	return advice
}

// V02GetLiveMetrics tells what this process is doing.
func (s *server) V02GetLiveMetrics(ctx context.Context, _ oapi.V02GetLiveMetricsRequestObject) (oapi.V02GetLiveMetricsResponseObject, error) {
	l, err := s.performance.Live(ctx, principalFrom(ctx))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetLiveMetrics200JSONResponse{
		ActiveRequests: oapi.PerformanceActiveRequests{
			Count: l.Count, Requests: make([]oapi.PerformanceActiveRequest, len(l.Own)), TotalActiveTime: l.Busy.Seconds(),
		},
		SystemMetrics: oapi.PerformanceSystemMetrics{
			RequestsPerMinute: float64(l.PerMinute), MemoryUsageMb: float64(l.Load.MemoryBytes) / (1 << 20),
			CpuUsagePercent: l.Load.CPUPercent, ActiveConnections: l.Load.Connections,
		},
		Timestamp: timestamp(l.At),
	}
	for i, r := range l.Own {
		answer.ActiveRequests.Requests[i] = oapi.PerformanceActiveRequest{
			RequestId: r.RequestID, StartTime: timestamp(r.Started), CurrentDuration: max(l.At.Sub(r.Started), 0).Seconds(),
			Provider: r.Choice.Provider, Model: r.Choice.Model, UserId: r.Owner, Status: r.Status,
		}
	}
	return answer, nil
}

// V02GetPerformanceHealth judges the last minutes.
func (s *server) V02GetPerformanceHealth(ctx context.Context, _ oapi.V02GetPerformanceHealthRequestObject) (oapi.V02GetPerformanceHealthResponseObject, error) {
	h, err := s.performance.Health(ctx)
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetPerformanceHealth200JSONResponse{
		HealthStatus: oapi.PerformanceStatus(h.Verdict), HealthScore: oapi.PerformanceHealthHealthScore(h.Verdict.Score()),
		Metrics: oapi.PerformanceHealthMetrics{
			AverageResponseTime: h.Average.Seconds(), SlowRequestsCount: h.Slow, ErrorRatePercent: h.ErrorPercent,
			ActiveRequests: h.Active, RequestsAnalyzed: h.Requests,
		},
		Thresholds: oapi.PerformanceThresholds{
			HealthyResponseTime: "< 2.0s", WarningResponseTime: "< 5.0s", CriticalResponseTime: ">= 5.0s",
			HealthyErrorRate: "< 1.0%", WarningErrorRate: "< 5.0%", CriticalErrorRate: ">= 5.0%",
		},
		Alerts: []oapi.PerformanceAlert{}, Recommendations: []string{}, Timestamp: timestamp(s.now()),
	}
	for _, a := range h.Alerts {
		answer.Alerts = append(answer.Alerts, oapi.PerformanceAlert{
			Level: oapi.PerformanceAlertLevel(a.Level), Message: a.Message, Threshold: a.Threshold, Recommendation: a.Advice,
		})
		answer.Recommendations = append(answer.Recommendations, a.Advice)
	}
	if len(h.Alerts) == 0 {
		answer.Recommendations = append(answer.Recommendations, "Nothing needs attention.")
	}
	return answer, nil
}

// V02ResetPerformance begins to measure anew.
func (s *server) V02ResetPerformance(ctx context.Context, _ oapi.V02ResetPerformanceRequestObject) (oapi.V02ResetPerformanceResponseObject, error) {
	r, err := s.performance.Reset(ctx, principalFrom(ctx))
	if err != nil {
		return nil, err
	}
	return oapi.V02ResetPerformance200JSONResponse{
		Status: oapi.PerformanceResetStatusSuccess, Message: oapi.PerformanceMetricsHaveBeenReset, ResetTimestamp: timestamp(r.To),
		PreviousDataSummary: oapi.PerformanceDropped{
			TotalRequests: int64(r.Requests), TotalProviders: r.Providers, ActiveRequests: r.Active,
			DataCollectionPeriod: oapi.PerformanceCollectionPeriod{
				Start: timestamp(r.From), End: timestamp(r.To), DurationMinutes: max(r.To.Sub(r.From), 0).Minutes(),
			},
		},
	}, nil
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(timestamp(t))
}
