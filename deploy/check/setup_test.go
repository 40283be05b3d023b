package check

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSetUpMakesSecretsOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := filepath.Join(dir, ".env")
	// A value of somebody's own, and an empty line of a copied .env.example, without a line's end.
	if err := os.WriteFile(env, []byte("API_KEY=mine\nPOSTGRES_PASSWORD=\nLOG_LEVEL=DEBUG"), 0o600); err != nil {
		t.Fatal(err)
	}
	runSetUp(t, dir)
	first, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	got := variables(string(first))
	if got["API_KEY"] != "mine" || got["LOG_LEVEL"] != "DEBUG" || len(got["POSTGRES_PASSWORD"]) != 48 || len(got["INTERNAL_AUTH_SECRET"]) != 64 {
		t.Errorf("made\n%s", first)
	}
	runSetUp(t, dir)
	if again, err := os.ReadFile(env); err != nil || string(again) != string(first) {
		t.Errorf("the second run changed it: %v\n%s", err, again)
	}
	if info, err := os.Stat(env); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info, err)
	}
	if other := setUp(t); other["INTERNAL_AUTH_SECRET"] == got["INTERNAL_AUTH_SECRET"] {
		t.Error("two machines have the same secret")
	}
}

// What was there and could be read by others, as a copy of .env.example can, holds secrets from now on.
func TestSetUpKeepsOthersOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := filepath.Join(dir, ".env")
	if err := os.WriteFile(env, []byte("LOG_LEVEL=DEBUG\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(env, 0o644); err != nil { //nolint:gosec // as it may be found
		t.Fatal(err)
	}
	runSetUp(t, dir)
	if info, err := os.Stat(env); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info, err)
	}
}

// Tokens of a project of one's own can't be verified with a secret that was made up.
func TestSetUpMakesNoSecretOfAnothersProject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := filepath.Join(dir, ".env")
	if err := os.WriteFile(env, []byte("SUPABASE_URL=https://project.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runSetUp(t, dir)
	made, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	got := variables(string(made))
	for _, name := range []string{"SUPABASE_JWT_SECRET", "LOCAL_ACCOUNTS"} {
		if value, is := got[name]; is {
			t.Errorf("%s is %q", name, value)
		}
	}
	if got["INTERNAL_AUTH_SECRET"] == "" {
		t.Errorf("made\n%s", made)
	}
}
