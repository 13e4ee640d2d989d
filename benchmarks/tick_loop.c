/* The clock's side of the tick-to-order measurement, and the least that a client can do. No allocation. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long wall_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (long long)t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int send_all(int fd, const unsigned char *data, long length) {
    while (length > 0) {
        ssize_t sent = send(fd, data, (size_t)length, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        data += sent;
        length -= sent;
    }
    return 0;
}

/* Length of the WebSocket frame at the front of `have` bytes, 0 where its header is not whole yet. */
static long frame_length(const unsigned char *data, long have) {
    if (have < 2) return 0;
    long header = 2 + ((data[1] & 0x80) ? 4 : 0), payload = data[1] & 0x7f;
    if (payload == 126) {
        if (have < 4) return 0;
        header += 2;
        payload = ((long)data[2] << 8) | data[3];
    } else if (payload == 127) {
        return -1;
    }
    return header + payload;
}

static long read_frame(int fd, unsigned char *buffer, long room) {
    long have = 0, want = 0;
    while (want == 0 || have < want) {
        ssize_t got = recv(fd, buffer + have, (size_t)(room - have), 0);
        if (got <= 0) return -1;
        have += got;
        want = frame_length(buffer, have);
        if (want < 0 || want > room || (want && have > want)) return -1;
    }
    return have;
}

/* Send the tick, wait for one whole frame, and note what that took; `count` times. 0 where all of it went well. */
int measure(int fd, const unsigned char *tick, long length, int count, long long *took_ns) {
    unsigned char buffer[65536];
    for (int turn = 0; turn < count; turn++) {
        long long start = now_ns();
        if (send_all(fd, tick, length) || read_frame(fd, buffer, sizeof buffer) < 0) return -1;
        took_ns[turn] = now_ns() - start;
    }
    return 0;
}

/* What came from the client, of which the first `taken` bytes were read. */
struct inbox {
    unsigned char data[65536];
    long have, taken;
};

/* The payload of the next frame into `text`, with a zero behind it. Its length, or -1 where the client is gone. */
static long next_text(int fd, struct inbox *in, char *text, long room) {
    memmove(in->data, in->data + in->taken, (size_t)(in->have -= in->taken));
    in->taken = 0;
    long want;
    while ((want = frame_length(in->data, in->have)) == 0 || in->have < want) {
        if (want < 0 || want > (long)sizeof in->data) return -1;
        ssize_t got = recv(fd, in->data + in->have, sizeof in->data - (size_t)in->have, 0);
        if (got <= 0) return -1;
        in->have += got;
    }
    in->taken = want;
    long head = (in->data[1] & 0x7f) == 126 ? 4 : 2, size = want - head - 4;
    if (!(in->data[1] & 0x80) || size < 0 || size >= room) return -1;
    for (long at = 0; at < size; at++) text[at] = (char)(in->data[head + 4 + at] ^ in->data[head + (at & 3)]);
    text[size] = 0;
    return size;
}

static int send_text(int fd, const char *text, int size) {
    unsigned char frame[1024] = {0x81, (unsigned char)size};
    int head = 2;
    if (size >= 126) {
        frame[1] = 126;
        frame[2] = (unsigned char)(size >> 8);
        frame[3] = (unsigned char)size;
        head = 4;
    }
    memcpy(frame + head, text, (size_t)size);
    return send_all(fd, frame, head + size);
}

/* The same for a client that trades: each order is acknowledged and filled behind the time stamp, the book moves, and the
   next tick waits until the client has taken that in, which its answer to a ping says. Frames that are no orders are passed over. */
int measure_trading(int fd, const unsigned char *tick, long length, int count, long long *took_ns, long exec_seq,
                    long book_seq) {
    static struct inbox in;
    static char said[65536];
    char text[900], name[64];
    in.have = in.taken = 0;
    for (int turn = 0; turn < count; turn++) {
        char *found = 0;
        long long start = now_ns();
        if (send_all(fd, tick, length)) return -1;
        while (!found) {
            if (next_text(fd, &in, said, sizeof said) < 0) return -2;
            took_ns[turn] = now_ns() - start;
            if (strstr(said, "\"place_order\"")) found = strstr(said, "\"client_order_id\":\"");
        }
        if (sscanf(found, "\"client_order_id\":\"%40[a-z0-9]", name) != 1) return -1;
        int size = snprintf(text, sizeof text,
            "{\"type\":\"order_ack\",\"exec_seq\":%ld,\"client_order_id\":\"%s\",\"order_id\":\"v%ld\","
            "\"symbol\":\"BTC-USDC\",\"status\":\"open\",\"cum_qty\":\"0.000\"}", exec_seq + 1, name, exec_seq);
        if (send_text(fd, text, size)) return -1;
        size = snprintf(text, sizeof text,
            "{\"type\":\"fill\",\"exec_seq\":%ld,\"symbol\":\"BTC-USDC\",\"client_order_id\":\"%s\",\"order_id\":\"v%ld\","
            "\"trade_id\":\"t%ld\",\"side\":\"buy\",\"qty\":\"0.010\",\"price\":\"60001.5\",\"liquidity\":\"maker\","
            "\"fee\":\"-0.030000\",\"fee_ccy\":\"USDC\",\"cum_qty\":\"0.010\",\"leaves_qty\":\"0.000\"}",
            exec_seq + 2, name, exec_seq, exec_seq);
        if (send_text(fd, text, size)) return -1;
        exec_seq += 2;
        size = snprintf(text, sizeof text,
            "{\"type\":\"book_delta\",\"symbol\":\"BTC-USDC\",\"prev_seq\":%ld,\"book_seq\":%ld,"
            "\"bids\":[[\"60001.4\",\"1.%03d\"]],\"asks\":[],\"exchange_ts\":%lld}",
            book_seq, book_seq + 1, turn % 1000, wall_us());
        if (send_text(fd, text, size)) return -1;
        book_seq++;
        size = snprintf(text, sizeof text, "{\"type\":\"ping\",\"id\":%d}", turn + 1);
        if (send_text(fd, text, size)) return -1;
        do {
            if (next_text(fd, &in, said, sizeof said) < 0) return -3;
        } while (!strstr(said, "\"pong\""));
    }
    return 0;
}

/* Answer every frame with the same one until the peer is gone. */
void answer(int fd, const unsigned char *order, long length) {
    unsigned char buffer[65536];
    while (read_frame(fd, buffer, sizeof buffer) > 0 && !send_all(fd, order, length)) {
    }
}
