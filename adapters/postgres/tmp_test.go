package postgres_test
import ("testing";"strings";"fmt")
func TestTmpPlans(t *testing.T){
 url:=newDatabase(t); conn:=connect(t,url); st:=listStatement(t,url)
 for _,ix:=range []string{"(name) WHERE is_active","(is_active, name) WHERE is_active","(name) WHERE is_active IS NOT FALSE"} {
 exec(t,conn,"DROP INDEX personas_active_name_key"); exec(t,conn,"CREATE UNIQUE INDEX personas_active_name_key ON personas "+ix)
 for _,nm:=range []string{"'Persona ' || n","md5(n::text)"} {
 for _,w:=range []string{"1","30"} {
 for _,created:=range []string{"timestamptz '2024-01-01' + n * interval '1 minute'","timestamptz '2024-01-01' - n * interval '1 minute'","timestamptz '2024-01-01' + hashint4(n) * interval '1 second'"} {
 if ix!="(name) WHERE is_active" && created[0:30]!="timestamptz '2024-01-01' + n *"[0:30] {continue}
 for _,act:=range []string{"n%50=0","n%10=0","n%5=0","n%2=0","n%10<>0","true","n<50000","n<95000"} {
  exec(t,conn,"TRUNCATE personas CASCADE")
  exec(t,conn,`INSERT INTO personas (id, name, description, system_prompt, is_active, created_by, created_at)
		SELECT gen_random_uuid(), `+nm+`, repeat('about ', `+w+`), repeat('You are someone. ', `+w+`),
			`+act+`, 'owner ' || n % 1000, `+created+`
		FROM generate_series(1, 100000) AS n`)
  exec(t,conn,"VACUUM ANALYZE personas")
  p:=explain(t,conn,st)
  u:="SEQ"; if strings.Contains(p,"personas_active_name_key"){u="NAME"}; if strings.Contains(p,listIndex){u="ok"}
  fmt.Printf("%-38s %-16s w%-3s %-30.30s %-8s %-5s %s\n",ix,nm,w,created[22:],act,u,strings.SplitN(p,"\n",2)[0])
 }}}}}
}
