// Package gotrue stands in for Supabase Auth at the socket. What it answers was recorded from the real server, exchange by exchange:
// exchanges.jsonl holds them, and Server fills their placeholders in with the ids, tokens and times of accounts that it really keeps. So
// the official clients work against it.
//
// In a recorded text, words in angle brackets stand for what differs from call to call: <uuid>, <timestamp> (text in RFC 3339; a number
// of Unix seconds in expires_at), <jwt>, <refresh_token>, <refresh_token_prefix>, <seconds>, <base_url>.
package gotrue
