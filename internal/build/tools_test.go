package build

import (
	"bytes"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
)

// online are options for builds that may reach these hosts, with what this machine says of certificates.
func online(hosts []net.IP) Options {
	var o Options
	for _, ip := range hosts {
		a, _ := netip.AddrFromSlice(ip.To4())
		o.Allow = append(o.Allow, runner.Allowed{Prefix: netip.PrefixFrom(a, 32), Ports: []uint16{443}})
	}
	for _, name := range []string{"PIP_CERT", "NODE_EXTRA_CA_CERTS"} {
		if value := os.Getenv(name); value != "" {
			o.Env = append(o.Env, name+"="+value)
		}
	}
	return o
}

// saysHosts are those of the URLs that a package manager prints: where it gets packages from.
func saysHosts(t *testing.T, command ...string) (hosts []string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).Output()
	need.That(t, err == nil, command[0]+" with its package manager")
	for _, word := range strings.Fields(string(out)) {
		u, err := url.Parse(word)
		if err != nil || u.Hostname() == "" {
			t.Fatalf("%v says %q, want URLs", command, out)
		}
		hosts = append(hosts, u.Hostname())
	}
	return hosts
}

// by is a build of a type.
func by(builder string) function.Build {
	return function.Build{Type: builder, Network: function.NetworkEgress, Timeout: function.BuildTimeout}
}

// runs starts a program of the code as it is on this machine.
func (b *bench) runs(t *testing.T, digest string, command ...string) string {
	t.Helper()
	dir, err := b.code.Dir(digest)
	if err != nil {
		t.Fatal(err)
	}
	path := command[0]
	if strings.HasPrefix(path, "./") {
		path = filepath.Join(dir, path)
	}
	cmd := exec.Command(path, command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// twice builds a source by two scopes, which must make the same, and returns it.
func (b *bench) twice(t *testing.T, r Request) *Result {
	t.Helper()
	var first *Result
	for _, r.Scope = range []string{"one", "two"} {
		var out bytes.Buffer
		r.Out = &out
		made, err := b.Run(t.Context(), r)
		if err != nil {
			t.Fatalf("Run: %v\n%s", err, &out)
		}
		if first == nil {
			first = made
		}
		if made.Code != first.Code {
			t.Errorf("the second build made %s, the first one %s", made.Code, first.Code)
		}
	}
	return first
}

func TestPythonGetsItsPackages(t *testing.T) {
	b := newBench(t, online(need.Hosts(t, saysHosts(t, "/usr/bin/python3", "-c",
		"from pip._internal.models.index import PyPI as i; print(i.simple_url, 'https://' + i.file_storage_domain)")...)))
	need.That(t, exec.Command("/usr/bin/python3", "-m", "pip", "--version").Run() == nil, "pip of /usr/bin/python3")
	r := b.twice(t, Request{Build: by(function.BuildPython), Dir: source(t, map[string]string{
		"requirements.txt": "iniconfig==2.0.0\n", ".dalambignore": "*.md\niniconfig\n", "README.md": "x", "main.py": "import iniconfig; print(iniconfig.IniConfig('x', 'a=[1]'[:0] + '[s]\\na=1')['s']['a'])\n",
	})})
	if got := b.runs(t, r.Code, "/usr/bin/python3", "main.py"); got != "1" {
		t.Errorf("the function prints %q, want 1", got)
	}
	if !strings.HasPrefix(r.Built.Toolchain, "pip ") {
		t.Errorf("built by %q, want pip", r.Built.Toolchain)
	}
	_, err := b.Run(t.Context(), Request{Build: by(function.BuildPython), Dir: source(t, map[string]string{"main.py": ""})})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "no requirements.txt or pyproject.toml") {
		t.Errorf("Run of nothing for pip = %v", err)
	}
}

const lock = `{"name":"pay","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{
 "":{"name":"pay","version":"1.0.0","dependencies":{"isarray":"2.0.5"}},
 "node_modules/isarray":{"version":"2.0.5",
  "integrity":"sha512-xHjhDr3cNBK0BzdUJSPXZntQUx/mwMS5Rw4A7lPJ90XGAO6ISP/ePDNuo0vhqOZU+UD5JoodwCAAoZQd3FeAKw=="}}}`

func TestNodeGetsItsPackages(t *testing.T) {
	b := newBench(t, online(need.Hosts(t, saysHosts(t, "npm", "config", "get", "registry")...)))
	need.That(t, b.find("npm") != "" && b.find("node") != "", "npm below /usr")
	files := map[string]string{
		"package.json":      `{"name":"pay","version":"1.0.0","dependencies":{"isarray":"2.0.5"},"scripts":{"build":"mkdir -p dist && cp main.js dist/built.js"}}`,
		"package-lock.json": lock, "main.js": "console.log(require('isarray')([]))\n",
	}
	r := b.twice(t, Request{Build: by(function.BuildNode), Dir: source(t, files)})
	if got := b.runs(t, r.Code, "node", "dist/built.js"); got != "true" {
		t.Errorf("the function prints %q, want true", got)
	}
	files["package.json"] = "{"
	_, err := b.Run(t.Context(), Request{Build: by(function.BuildNode), Dir: source(t, files)})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "package.json is no JSON") {
		t.Errorf("Run of a bad package.json = %v", err)
	}
}

func TestARustProgram(t *testing.T) {
	out, err := exec.Command("rustc", "--print", "sysroot").Output()
	need.That(t, err == nil, "rustc")
	o := Options{Tools: []string{strings.TrimSpace(string(out))}}
	b := newBench(t, o)
	need.That(t, b.find("cargo") != "" && b.find("cc") != "", "cargo and a linker")
	offline := by(function.BuildRust)
	offline.Network = function.NetworkNone
	r := b.twice(t, Request{Build: offline, Programs: []string{"bin/pay"}, Dir: source(t, map[string]string{
		"Cargo.toml": "[package]\nname = \"pay\"\nversion = \"1.0.0\"\nedition = \"2021\"\n", "Cargo.lock": "version = 3\n\n[[package]]\nname = \"pay\"\nversion = \"1.0.0\"\n",
		"src/main.rs": "fn main() { println!(\"hello\"); }\n",
	})})
	if got := b.runs(t, r.Code, "./bin/pay"); got != "hello" {
		t.Errorf("the program prints %q, want hello", got)
	}
}

func TestAToolThatIsNotThere(t *testing.T) {
	b := newBench(t, Options{})
	p := &plan{name: "spam", needs: []string{"no-such-tool-on-any-machine"}}
	err := b.check(p)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.HintOf(err), "build.tools") {
		t.Errorf("check = %v (%s), want an Unavailable fault with what to do", err, fault.HintOf(err))
	}
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>com.example</groupId><artifactId>pay</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target></properties>
<build><finalName>pay</finalName><plugins><plugin><artifactId>maven-jar-plugin</artifactId><version>3.4.1</version>
<configuration><archive><manifest><mainClass>Pay</mainClass></manifest></archive></configuration></plugin></plugins></build></project>`

func TestJavaIsPacked(t *testing.T) {
	b := newBench(t, online(need.Hosts(t, "repo.maven.apache.org")))
	need.That(t, b.find("mvn") != "" && b.find("java") != "", "Maven below /usr")
	r := b.twice(t, Request{Build: by(function.BuildJava), Dir: source(t, map[string]string{
		"pom.xml": pom, "src/main/java/Pay.java": "public class Pay { public static void main(String[] a) { System.out.println(\"hello\"); } }\n",
	})})
	if !strings.HasPrefix(r.Built.Toolchain, "Apache Maven ") {
		t.Errorf("built by %q, want Apache Maven", r.Built.Toolchain)
	}
	if got := b.runs(t, r.Code, "java", "-jar", "target/pay.jar"); got != "hello" {
		t.Errorf("the function prints %q, want hello", got)
	}
}
