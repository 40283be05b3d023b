package domain

import "unicode/utf8"

// EstimateUsage counts a call whose provider did not.
func EstimateUsage(prompt []PromptMessage, a Answer) Usage {
	u := Usage{Output: EstimateTokens(utf8.RuneCountInString(a.Content) + utf8.RuneCountInString(a.Refusal)), Source: UsageEstimated}
	for _, m := range prompt {
		u.Input += m.estimate()
	}
	for _, c := range a.ToolCalls {
		u.Output += EstimateTokens(len(c.Name) + len(c.Arguments))
	}
	return u
}
