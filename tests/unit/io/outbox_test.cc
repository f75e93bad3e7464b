// What is held back goes out once, in order, at the end of the turn, or not at all; and its owner
// learns what became of it.
#include "worker/io/outbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "shared/base/unique_fd.h"
#include "tests/unit/master/test_loop.h"
#include "worker/io/tcp_stream.h"

namespace ringmaster::test {
namespace {

using Status = TcpStream::WriteStatus;

// A stream and the socket at its other end.
class Line final : private TcpStream::Owner {
 public:
  Line(TestLoop& loop, Outbox& outbox) : loop_(loop), stream(*this, outbox) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) throw 0;
    stream.adopt(loop.get(), ends[0]);
    peer.reset(ends[1]);
  }
  ~Line() {
    stream.close();
    EXPECT_TRUE(loop_.run_until([this] { return closed_; }));
  }

  std::string received() {
    std::string bytes(1 << 20, '\0');
    const ssize_t n = ::recv(peer.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
  }

 private:
  std::span<char> read_room() override { return room; }
  void on_read(std::size_t) override {
    if (on_bytes) on_bytes();
  }
  void on_read_end(int error) override { end = error; }
  void on_written(int status) override {
    written.push_back(status);
    if (on_done) on_done();
  }
  void on_closed() override { closed_ = true; }

  TestLoop& loop_;
  bool closed_ = false;

 public:
  TcpStream stream;
  UniqueFd peer;
  std::array<char, 16> room{};
  int end = 0;
  std::vector<int> written;
  std::function<void()> on_done;
  std::function<void()> on_bytes;
};

class OutboxTest : public testing::Test {
 protected:
  Status send(Line& line, std::string_view text) {
    BufferLease hold = buffers_.lend();
    text.copy(hold->data(), text.size());
    return line.stream.write_soon(as_buf({hold->data(), text.size()}), hold);
  }

  TestLoop loop_;
  BufferPool buffers_{4096, 4};
  Outbox outbox_;
};

TEST_F(OutboxTest, SendsWhatIsHeldBackAtTheEndOfTheTurn) {
  Line a(loop_, outbox_);
  Line b(loop_, outbox_);
  EXPECT_EQ(send(a, "to a"), Status::kPending);
  EXPECT_EQ(send(b, "to b"), Status::kPending);
  EXPECT_TRUE(a.stream.is_writing());
  EXPECT_TRUE(a.stream.is_held_back());
  EXPECT_EQ(a.received(), "");

  outbox_.send_held();
  EXPECT_EQ(a.received(), "to a");
  EXPECT_EQ(b.received(), "to b");
  EXPECT_EQ(a.written, std::vector<int>{0});
  EXPECT_FALSE(a.stream.is_writing());
  EXPECT_FALSE(a.stream.is_held_back());

  outbox_.send_held();
  EXPECT_EQ(a.received(), "") << "once";
}

TEST_F(OutboxTest, AStreamThatIsClosedFirstSendsNothing) {
  Line a(loop_, outbox_);
  Line b(loop_, outbox_);
  send(a, "to a");
  send(b, "to b");
  a.stream.close();
  outbox_.send_held();
  EXPECT_EQ(a.received(), "");
  EXPECT_TRUE(a.written.empty());
  EXPECT_EQ(b.received(), "to b");
  EXPECT_EQ(send(a, "more"), Status::kFailed);
}

TEST_F(OutboxTest, ToAPeerThatIsGoneNothingWasSent) {
  Line line(loop_, outbox_);
  send(line, "text");
  line.peer.reset();
  outbox_.send_held();
  EXPECT_EQ(line.written, std::vector<int>{TcpStream::kNothingSent});
}

TEST_F(OutboxTest, WhatTheKernelDoesNotTakeGoesOutLater) {
  Line line(loop_, outbox_);
  std::string flood(4 << 20, 'x');
  uv_buf_t piece = as_buf(flood);
  ASSERT_EQ(line.stream.write({&piece, 1}), Status::kPending);
  std::size_t taken = 0;
  ASSERT_TRUE(loop_.run_until([&] {
    taken += line.received().size();
    return !line.written.empty();
  }));
  while (::send(line.stream.fd(), "y", 1, MSG_DONTWAIT) == 1) ++taken;  // full to the brim
  ASSERT_EQ(send(line, "late"), Status::kPending);
  outbox_.send_held();
  EXPECT_TRUE(line.stream.is_writing());
  EXPECT_FALSE(line.stream.is_held_back());
  std::string all;
  ASSERT_TRUE(loop_.run_until([&] {
    all += line.received();
    return line.written.size() == 2;
  }));
  all += line.received();
  EXPECT_TRUE(all.ends_with("ylate"));
}

TEST_F(OutboxTest, WhatComesMeanwhileGoesOutTheSameTurn) {
  Line line(loop_, outbox_);
  line.on_done = [&] {
    if (line.written.size() == 1) send(line, ", second");
  };
  send(line, "first");
  outbox_.send_held();
  EXPECT_EQ(line.received(), "first, second");
}

TEST_F(OutboxTest, WhatFindsNoRoomIsSentAtOnce) {
  std::vector<std::unique_ptr<Line>> lines;
  Status status = Status::kPending;
  while (status == Status::kPending && lines.size() < 1'000) {
    lines.push_back(std::make_unique<Line>(loop_, outbox_));
    status = send(*lines.back(), "text");
  }
  ASSERT_EQ(status, Status::kDone);
  EXPECT_EQ(lines.back()->received(), "text");
  EXPECT_TRUE(lines.back()->written.empty());
  EXPECT_EQ(lines.front()->received(), "");
  outbox_.send_held();
  EXPECT_EQ(lines.front()->received(), "text");
}

// In a long turn nobody waits for all the others: what was held back goes out before the next
// event.
TEST_F(OutboxTest, IsEmptiedInALongTurn) {
  Line reader(loop_, outbox_);
  Line other(loop_, outbox_);
  send(other, "text");
  int events = 1;
  for (; !outbox_.is_due() && events < 1'000; ++events) outbox_.note_read(100);
  EXPECT_EQ(events, 65);
  std::string other_got;
  reader.on_bytes = [&] { other_got = other.received(); };
  reader.stream.start_reading();
  ASSERT_EQ(::send(reader.peer.get(), "x", 1, 0), 1);
  loop_.turn();
  EXPECT_EQ(other_got, "text");

  send(other, "more");
  for (events = 1; !outbox_.is_due() && events < 1'000; ++events) outbox_.note_read(256 * 1024);
  EXPECT_EQ(events, 3) << "long reads take longer";
  outbox_.send_held();
}

struct CountedPauses final : Outbox::Pauser {
  void on_pause() override {
    ++count;
    if (then) then();
  }
  int count = 0;
  std::function<void()> then;
};

TEST_F(OutboxTest, APauseThatIsUsedSendsWhatWasHeldBackBeforeAndSince) {
  Line line(loop_, outbox_);
  CountedPauses pauses;
  outbox_.set_pauser(pauses);
  const auto be_due = [&] {
    while (!outbox_.is_due()) outbox_.note_read(100);
  };
  be_due();
  outbox_.pause();
  EXPECT_EQ(pauses.count, 0) << "the turn is short so far";

  for (int events = 0; events < 512; ++events) outbox_.note_read(100);
  send(line, "before, ");
  std::string seen;
  pauses.then = [&] {
    seen = line.received();
    send(line, "since");
  };
  be_due();
  outbox_.pause();
  EXPECT_EQ(pauses.count, 1);
  EXPECT_EQ(seen, "before, ");
  EXPECT_EQ(line.received(), "since");
  EXPECT_FALSE(outbox_.is_due());
}

// The loop tells of both at once; what it says of the second is stale when its turn comes.
TEST_F(OutboxTest, WhatWasReadAheadIsReadOnce) {
  Line first(loop_, outbox_);
  Line second(loop_, outbox_);
  std::string got;
  second.on_bytes = [&] { got += second.room[0]; };
  first.on_bytes = [&] {
    EXPECT_TRUE(second.stream.read_ahead());
    EXPECT_EQ(got, "1");
    EXPECT_FALSE(second.stream.read_ahead()) << "nothing more has come";
    ASSERT_EQ(::send(second.peer.get(), "2", 1, 0), 1);
  };
  for (Line* line : {&first, &second}) {
    EXPECT_FALSE(line->stream.read_ahead()) << "it is not being read";
    line->stream.start_reading();
    ASSERT_EQ(::send(line->peer.get(), "1", 1, 0), 1);
  }
  outbox_.turn().begin();
  loop_.turn();
  EXPECT_EQ(got, "1");
  outbox_.turn().begin();
  loop_.turn();
  EXPECT_EQ(got, "12") << "what came since is not lost";
}

// A client that asks once costs the loop nothing.
TEST_F(OutboxTest, AStreamThatNeedNotWaitNeverJoinsTheLoop) {
  Line line(loop_, outbox_);
  bool came = false;
  line.on_bytes = [&] { came = true; };
  line.stream.read_what_came();
  EXPECT_FALSE(came);
  ASSERT_EQ(::send(line.peer.get(), "ask", 3, 0), 3);
  line.stream.read_what_came();
  EXPECT_TRUE(came);
  EXPECT_EQ(std::string(line.room.data()), "ask");
  ASSERT_EQ(send(line, "answer"), Status::kPending);
  outbox_.send_held();
  EXPECT_EQ(line.received(), "answer");
  EXPECT_FALSE(line.stream.has_joined_loop());

  const int fd = line.stream.fd();
  line.stream.close();
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
  char byte = 0;
  EXPECT_EQ(::recv(line.peer.get(), &byte, 1, 0), 0);
}

TEST_F(OutboxTest, AStreamJoinsTheLoopToWaitForItsPeer) {
  Line reader(loop_, outbox_);
  reader.stream.start_reading();
  EXPECT_TRUE(reader.stream.has_joined_loop());
  reader.peer.reset();
  EXPECT_TRUE(loop_.run_until([&] { return reader.end == UV_EOF; }));

  Line writer(loop_, outbox_);
  std::string flood(4 << 20, 'x');
  uv_buf_t piece = as_buf(flood);
  ASSERT_EQ(writer.stream.write({&piece, 1}), Status::kPending);
  EXPECT_TRUE(writer.stream.has_joined_loop());
  EXPECT_TRUE(loop_.run_until([&] {
    writer.received();
    return !writer.written.empty();
  }));
}

}  // namespace
}  // namespace ringmaster::test
