package app_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/dalamb/dalamb/internal/function"
)

// rpc is a gRPC server as anybody writes one; it knows nothing of dalamb but its port.
type rpc struct {
	grpc_testing.UnimplementedTestServiceServer
}

func serveGRPC() error {
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(s, rpc{})
	return s.Serve(l)
}

func (rpc) UnaryCall(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if err := grpc.SetTrailer(ctx, metadata.Pairs("x-echo", strings.Join(md.Get("x-say"), ","))); err != nil {
		return nil, err
	}
	if want := in.GetResponseStatus(); want != nil {
		return nil, status.Error(codes.Code(want.GetCode()), want.GetMessage())
	}
	return &grpc_testing.SimpleResponse{Payload: in.GetPayload()}, nil
}

func (rpc) StreamingOutputCall(in *grpc_testing.StreamingOutputCallRequest, s grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	for _, p := range in.GetResponseParameters() {
		if err := s.Send(reply(int(p.GetSize()))); err != nil {
			return err
		}
	}
	return nil
}

func (rpc) StreamingInputCall(s grpc.ClientStreamingServer[grpc_testing.StreamingInputCallRequest, grpc_testing.StreamingInputCallResponse]) error {
	sum := 0
	for {
		in, err := s.Recv()
		if err == io.EOF {
			return s.SendAndClose(&grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(in.GetPayload().GetBody())
	}
}

func (rpc) FullDuplexCall(s grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
	for {
		in, err := s.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, p := range in.GetResponseParameters() {
			if err := s.Send(reply(int(p.GetSize()))); err != nil {
				return err
			}
		}
	}
}

func reply(size int) *grpc_testing.StreamingOutputCallResponse {
	return &grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, size)}}
}

func wanted(sizes ...int32) (p []*grpc_testing.ResponseParameters) {
	for _, s := range sizes {
		p = append(p, &grpc_testing.ResponseParameters{Size: s})
	}
	return p
}

// dialGRPC deploys the server as a function and returns a client that speaks to it by the node's gateway.
func dialGRPC(t *testing.T) (*node, grpc_testing.TestServiceClient) {
	n := start(t, t.TempDir())
	n.deploy(t.TempDir(), fmt.Sprintf(`
name: greeter
entry: {type: http, protocol: h2c, command: [%s, function, grpc, x], port: 8080}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
triggers:
  - route: {method: POST, path: "/grpc.testing.TestService/{call}"}
`, self(t)))
	conn, err := grpc.NewClient(strings.TrimPrefix(n.gateway, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return n, grpc_testing.NewTestServiceClient(conn)
}

// A gRPC server that knows nothing of dalamb is a function; all four kinds of calls reach it.
func TestGRPC(t *testing.T) {
	t.Parallel()
	n, c := dialGRPC(t)
	ctx := t.Context()

	var trailer metadata.MD
	said := metadata.AppendToOutgoingContext(ctx, "x-say", "hello")
	got, err := c.UnaryCall(said, &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: []byte("one")}}, grpc.Trailer(&trailer))
	if err != nil || string(got.GetPayload().GetBody()) != "one" || strings.Join(trailer.Get("x-echo"), "") != "hello" {
		t.Errorf("UnaryCall = %v, %v, trailer %v", got, err, trailer)
	}
	_, err = c.UnaryCall(ctx, &grpc_testing.SimpleRequest{ResponseStatus: &grpc_testing.EchoStatus{Code: int32(codes.FailedPrecondition), Message: "not now ✓"}})
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "not now ✓" {
		t.Errorf("UnaryCall = %v, want the function's own status", err)
	}
	if _, err = c.UnimplementedCall(ctx, &grpc_testing.Empty{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("UnimplementedCall = %v", err)
	}

	out, err := c.StreamingOutputCall(ctx, &grpc_testing.StreamingOutputCallRequest{ResponseParameters: wanted(1, 100_000, 3)})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 100_000, 3} {
		if m, err := out.Recv(); err != nil || len(m.GetPayload().GetBody()) != size {
			t.Fatalf("Recv = %d bytes, %v, want %d", len(m.GetPayload().GetBody()), err, size)
		}
	}
	if _, err := out.Recv(); err != io.EOF {
		t.Errorf("Recv = %v, want the end", err)
	}

	in, err := c.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := in.Send(&grpc_testing.StreamingInputCallRequest{Payload: &grpc_testing.Payload{Body: make([]byte, 10_000)}}); err != nil {
			t.Fatal(err)
		}
	}
	if sum, err := in.CloseAndRecv(); err != nil || sum.GetAggregatedPayloadSize() != 100_000 {
		t.Errorf("CloseAndRecv = %v, %v", sum, err)
	}
	both, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int32{1, 70_000, 2} { // each answer is there before the next question
		if err := both.Send(&grpc_testing.StreamingOutputCallRequest{ResponseParameters: wanted(size)}); err != nil {
			t.Fatal(err)
		}
		if m, err := both.Recv(); err != nil || len(m.GetPayload().GetBody()) != int(size) {
			t.Fatalf("Recv = %d bytes, %v, want %d", len(m.GetPayload().GetBody()), err, size)
		}
	}
	if err := both.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); err != io.EOF {
		t.Errorf("Recv = %v, want the end", err)
	}

	leaving, cancel := context.WithCancel(ctx)
	if both, err = c.FullDuplexCall(leaving); err != nil {
		t.Fatal(err)
	}
	if err := both.Send(&grpc_testing.StreamingOutputCallRequest{ResponseParameters: wanted(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := both.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("Recv = %v, want that the call is given up", err)
	}
	until(t, "the calls to be recorded", func() bool { return len(n.facts(function.TopicRequests)) == 7 })
}
