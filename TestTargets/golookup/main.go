// A Go program that looks names up when told to, with the resolver that Go chooses (GODEBUG=netdns=cgo makes it the C library's).
//
// First line: `ready PID`. `lookup NAME` is answered by `lookup NAME ADDRESSES...`, or `lookup NAME error ...`; SIGTERM and the end
// of standard input by `ok N`, N being the lookups. It ends by itself as the other victims do.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	limit, err := strconv.Atoi(os.Getenv("VICTIM_LIMIT"))
	if err != nil {
		limit = 120
	}
	time.AfterFunc(time.Duration(limit)*time.Second, func() { os.Exit(1) })
	lookups := 0
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	lines := make(chan string)
	go func() {
		input := bufio.NewScanner(os.Stdin)
		for input.Scan() {
			lines <- input.Text()
		}
		close(lines)
	}()
	fmt.Println("ready", os.Getpid())
	for {
		select {
		case <-terminated:
			fmt.Println("ok", lookups)
			return
		case line, isOpen := <-lines:
			if !isOpen {
				fmt.Println("ok", lookups)
				return
			}
			name := strings.TrimPrefix(line, "lookup ")
			addresses, err := net.LookupHost(name)
			lookups++
			if err != nil {
				fmt.Println("lookup", name, "error", err)
			} else {
				fmt.Println("lookup", name, strings.Join(addresses, " "))
			}
		}
	}
}
