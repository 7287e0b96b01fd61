package git

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/gitssh"
	"github.com/dalamb/dalamb/internal/need"
)

// sshServer serves the repositories below root to who has a key, by git-upload-pack alone.
type sshServer struct {
	t       *testing.T
	root    string
	config  *ssh.ServerConfig
	address string
	hosts   string // a line of known_hosts
	key     []byte // that is let in, as ssh-keygen writes it
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func newSSHServer(t *testing.T, root string) *sshServer {
	t.Helper()
	host, _ := newKey(t)
	client, text := newKey(t)
	s := &sshServer{t: t, root: root, key: text}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(client.PublicKey().Marshal()) {
			return nil, errors.New("another key")
		}
		return nil, nil
	}}
	s.config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	_, port, _ := net.SplitHostPort(s.address)
	s.hosts = "[127.0.0.1]:" + port + " " + string(ssh.MarshalAuthorizedKey(host.PublicKey()))
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			serving.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return s
}

func (s *sshServer) serve(c net.Conn) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return // a client that does not believe the host, or that is not let in
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		channel, requests, err := n.Accept()
		if err != nil {
			return
		}
		var env []string
		for r := range requests {
			switch r.Type {
			case "env":
				var v struct{ Name, Value string }
				if ssh.Unmarshal(r.Payload, &v) == nil && v.Name == "GIT_PROTOCOL" {
					env = append(env, v.Name+"="+v.Value)
				}
				_ = r.Reply(true, nil)
			case "exec":
				var v struct{ Command string }
				_ = ssh.Unmarshal(r.Payload, &v)
				_ = r.Reply(true, nil)
				s.run(channel, v.Command, env)
				channel.Close()
			default:
				_ = r.Reply(false, nil)
			}
		}
	}
}

func (s *sshServer) run(channel ssh.Channel, command string, env []string) {
	path, ok := strings.CutPrefix(command, "git-upload-pack '/")
	status := []byte{0, 0, 0, 1}
	if ok {
		cmd := exec.Command("git", "upload-pack", filepath.Join(s.root, strings.TrimSuffix(path, "'")))
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.root, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}, env...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
		if cmd.Run() == nil {
			status[3] = 0
		}
	}
	_, _ = channel.SendRequest("exit-status", false, status)
}

func TestACommitIsFetchedBySSH(t *testing.T) {
	t.Parallel()
	need.Program(t, "ssh")
	h, e := newRemoteHost(t), newElsewhere(t)
	h.server.remoteTries = 1
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	s := newSSHServer(t, filepath.Dir(filepath.Dir(e.git("remote", "get-url", "origin"))))
	other, otherKey := newKey(t)
	told := e.told("refs/heads/main", "", one)
	told.URL = "ssh://git@" + s.address + "/acme/shop.git"
	host, _, _ := strings.Cut(s.hosts, " ")
	for _, c := range []struct {
		name   string
		access Access
		says   string
	}{
		{"another host", Access{Key: s.key, KnownHosts: host + " " + string(ssh.MarshalAuthorizedKey(other.PublicKey()))}, "--known-hosts FILE"},
		{"an unknown host", Access{Key: s.key, KnownHosts: ""}, "Host key verification failed"},
		{"another key", Access{Key: otherKey, KnownHosts: s.hosts}, "Permission denied (publickey)"},
		{"no key", Access{Key: []byte("hello"), KnownHosts: s.hosts}, "Permission denied (publickey)"},
		{"the key", Access{Key: s.key, KnownHosts: s.hosts}, ""},
	} {
		told.Access = func() (Access, error) { return c.access, nil }
		_, err := h.bring(told)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error()+" "+fault.HintOf(err), c.says)) {
			t.Errorf("%s: Bring = %v, want %q", c.name, err, c.says)
		}
	}
	// A name goes to the address that was looked at, whatever it leads to by then.
	h.server.lookup = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	two := e.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	e.pushed("origin", "main")
	named := e.told("refs/heads/main", one, two)
	_, port, _ := strings.Cut(s.address, ":")
	named.URL = "ssh://git@git.invalid:" + port + "/acme/shop.git"
	named.Access = func() (Access, error) {
		return Access{Key: s.key, KnownHosts: strings.Replace(s.hosts, "127.0.0.1", "git.invalid", 1)}, nil
	}
	if _, err := h.bring(named); err != nil {
		t.Errorf("by a name: Bring = %v", err)
	}
	if v := h.deployed("pay").Origin; v == nil || v.Commit != two {
		t.Errorf("pay comes from %+v, want %s", v, two)
	}
	leavesNothing(t, h)
}

// ssh itself says how it understands what git starts: one key, one list of hosts, and nothing of the user's.
func TestSSHIsGivenOneKeyAndOneListOfHosts(t *testing.T) {
	t.Parallel()
	need.Program(t, "ssh")
	dir := filepath.Join(t.TempDir(), "with space, 100% and 'quotes'")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key, hosts := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	out, err := exec.Command("sh", "-c", gitssh.Command(key, hosts, []string{"HostName=192.0.2.7", "HostKeyAlias=[git.example]:2222"})+` -G -p 2222 git@git.example`).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh -G: %v\n%s", err, out)
	}
	said := "\n" + string(out)
	for _, want := range []string{
		"\nhostname 192.0.2.7\n", "\nhostkeyalias [git.example]:2222\n", "\nport 2222\n", "\nuser git\n", "\nidentityagent none\n", "\nidentitiesonly yes\n", "\nbatchmode yes\n", "\nstricthostkeychecking true\n",
		"\nclearallforwardings yes\n", "\nforwardagent no\n", "\nglobalknownhostsfile none\n", "\nconnecttimeout 20\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("ssh understands\n%s\nwant %q", said, want)
		}
	}
	for name, path := range map[string]string{"identityfile": key, "userknownhostsfile": hosts} {
		if !strings.Contains(strings.ReplaceAll(said, "%%", "%"), "\n"+name+" "+path+"\n") {
			t.Errorf("ssh understands\n%s\nwant %s %s", said, name, path)
		}
	}
}

func TestAKeyIsThereForOneFetch(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r, done, err := h.server.open(context.Background(), "ssh://git@127.0.0.1:2222/acme/shop", "shop", Access{Key: []byte("the key"), KnownHosts: "127.0.0.1 ssh-ed25519 AAAA"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(h.server.tmp(), "ssh-*", "key"))
	if err != nil || len(found) != 1 {
		t.Fatalf("keys %q, %v", found, err)
	}
	info, err := os.Stat(found[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil || string(text) != "the key\n" {
		t.Errorf("the key is %q, %v", text, err)
	}
	cmd := r.command(context.Background(), "ls-remote", "--", r.url)
	if all := strings.Join(cmd.Args, " "); strings.Contains(all, "the key") {
		t.Errorf("the key is an argument: %s", all)
	}
	if all := strings.Join(cmd.Env, "\n"); !strings.Contains(all, "GIT_ALLOW_PROTOCOL=ssh") || strings.Contains(all, "the key") {
		t.Errorf("the environment is\n%s", all)
	}
	done()
	if left, err := filepath.Glob(filepath.Join(h.server.tmp(), "ssh-*")); err != nil || len(left) != 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}
