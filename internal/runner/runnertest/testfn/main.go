// Command testfn is the function that the conformance suite runs: well-behaved or hostile, as its first argument says.
// It is linked statically, so that it runs on any base.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("no role given"))
	}
	role, args := os.Args[1], os.Args[2:]
	f, ok := roles()[role]
	if !ok {
		fail(fmt.Errorf("no role %q", role))
	}
	f(args)
}

func roles() map[string]func([]string) {
	all := map[string]func([]string){
		"exit":     exit,
		"args":     args,
		"env":      env,
		"pwd":      pwd,
		"cat":      cat,
		"print":    printMuch,
		"dial":     dial,
		"serve":    serve,
		"sleep":    func([]string) { forever() },
		"gentle":   gentle,
		"stubborn": stubborn,
		"escape":   escape,
		"orphan":   orphan,
		"eat":      eat,
		"forks":    forks,
		"write":    write,
		"read":     read,
		"again":    again,
		"burn":     burn,
		"opens":    opens,
		"reach":    reach,
	}
	for name, f := range hostile() {
		all[name] = f
	}
	return all
}

// forever is not select{}, which Go ends as a deadlock.
func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func exit(a []string) {
	code, _ := strconv.Atoi(a[0]) // the suite's own
	fmt.Println("out")
	fmt.Fprintln(os.Stderr, "err")
	os.Exit(code)
}

func args([]string) { fmt.Print(strings.Join(os.Args, "|")) }

func env([]string) { fmt.Println(strings.Join(os.Environ(), "\n")) }

func pwd([]string) {
	dir, err := os.Getwd()
	if err != nil {
		fail(err)
	}
	fmt.Print(dir)
}

func cat([]string) {
	if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
		fail(err)
	}
}

// printMuch prints as many bytes as asked.
func printMuch(a []string) {
	n, _ := strconv.Atoi(a[0])
	buf := []byte(strings.Repeat("0123456789abcde\n", 4096))
	for n > 0 {
		m, err := os.Stdout.Write(buf[:min(n, len(buf))])
		if err != nil {
			fail(err)
		}
		n -= m
	}
}

// dial connects to an address, says hello and prints the answer.
func dial(a []string) {
	c, err := net.DialTimeout("tcp", a[0], 5*time.Second)
	if err != nil {
		fail(err)
	}
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		fail(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		fail(err)
	}
	os.Stdout.Write(answer)
}

// serve answers every connection at 127.0.0.1:port, or at all addresses when told so, with its own word.
func serve(a []string) {
	host := "127.0.0.1"
	if len(a) > 1 {
		host = a[1]
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, a[0]))
	if err != nil {
		fail(err)
	}
	if len(a) > 1 {
		fmt.Println("listening")
	}
	for {
		c, err := l.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			defer c.Close()
			_, _ = io.WriteString(c, "served\n") // who dialled may be gone
		}()
	}
}

// gentle ends by itself when it is asked to, by SIGTERM or when it says so by SIGUSR1.
func gentle(a []string) {
	term := make(chan os.Signal, 1)
	if len(a) > 0 {
		signal.Notify(term, syscall.SIGUSR1)
	} else {
		signal.Notify(term, syscall.SIGTERM)
	}
	fmt.Println("ready")
	<-term
	fmt.Println("bye")
	os.Exit(7)
}

// stubborn does not.
func stubborn([]string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	fmt.Println("ready")
	forever()
}

// escape starts another of itself in a session of its own, holding this one's output, and stays.
func escape([]string) {
	spawn()
	fmt.Println("ready")
	forever()
}

// orphan does so and ends.
func orphan([]string) {
	spawn()
	fmt.Println("ready")
}

func spawn() {
	self, err := os.Executable()
	if err != nil {
		fail(err)
	}
	cmd := exec.Command(self, "stubborn")
	cmd.Stdout = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fail(err)
	}
}

// eat takes memory for ever, or as many MiB as asked and says so, slowly enough to be watched.
func eat(a []string) {
	most := -1
	if len(a) > 0 {
		most, _ = strconv.Atoi(a[0])
	}
	var all [][]byte
	for i := 0; i != most; i++ {
		b := make([]byte, 1<<20)
		for j := range b {
			b[j] = byte(j)
		}
		all = append(all, b)
		time.Sleep(2 * time.Millisecond)
	}
	fmt.Println("ate", len(all))
}

// forks starts stubborn processes until it can no more, prints how many it got and stays, or ends when told to.
func forks(a []string) {
	self, err := os.Executable()
	if err != nil {
		fail(err)
	}
	n := 0
	for ; n < 2000; n++ {
		if _, err := os.StartProcess(self, []string{self, "stubborn"}, &os.ProcAttr{}); err != nil {
			break
		}
	}
	fmt.Println("forked", n)
	if len(a) == 0 {
		forever()
	}
}

// write puts bytes (second argument, default 1) into a file and says so.
func write(a []string) {
	n := 1
	if len(a) > 1 {
		n, _ = strconv.Atoi(a[1])
	}
	if err := os.WriteFile(filepath.Clean(os.ExpandEnv(a[0])), make([]byte, n), 0o600); err != nil {
		fail(err)
	}
	fmt.Print("wrote")
}

func read(a []string) {
	b, err := os.ReadFile(a[0])
	if err != nil {
		fail(err)
	}
	os.Stdout.Write(b)
}

// again reads a file as often as asked, and prints each thing that came of it once.
func again(a []string) {
	n, _ := strconv.Atoi(a[1])
	seen := map[string]bool{}
	for range n {
		b, err := os.ReadFile(a[0])
		said := string(b)
		if err != nil {
			said = err.Error()
		}
		if !seen[said] {
			seen[said] = true
			fmt.Println(said)
		}
	}
}

// burn uses the CPU for so long by the clock and prints how much of it this process got.
func burn(a []string) {
	d, _ := time.ParseDuration(a[0])
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		fail(err)
	}
	fmt.Print(time.Duration(u.Utime.Nano() + u.Stime.Nano()).Milliseconds())
}

// opens opens files until it gets no more, and prints how many it had then.
func opens([]string) {
	var all []*os.File
	for len(all) < 1<<17 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		all = append(all, f)
	}
	fmt.Print(len(all))
}
