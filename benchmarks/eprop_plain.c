/* E-prop as Rostami et al. 2022 ran it, batch 1, float32: plain C, one loop an equation.

   What a careful programmer writes first: fixed sizes, arrays of (presynaptic, postsynaptic) so
   that the inner loop runs over neighbours in memory and the compiler vectorises it, the filtered
   presynaptic signal once for each presynaptic index, no work for neurons that did not fire. Nothing
   is fused, blocked or approximated. Checked by eprop_speed.py to agree with the learner. */

#include <math.h>
#include <string.h>

#ifndef N_IN
#define N_IN 80
#define N 120
#define N_OUT 12
#endif
#define N_PRE (N_IN + N)

static const float beta = 0.184f, v_threshold = 1.6f;
static const float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-5f;
static float alpha, rho, kappa, learning_rate, l2;

/* Learned: inputs and neurons to neurons, neurons to outputs; Adam's moments; gradients. */
static float w[N_PRE][N], w_m[N_PRE][N], w_v[N_PRE][N], w_g[N_PRE][N];
static float out[N_OUT][N], out_m[N_OUT][N], out_v[N_OUT][N], out_g[N_OUT][N];
static int updates;

/* Of one sample. */
static float v[N], a[N], threshold[N], current[N], u[N], z[N], psi[N], z_bar[N], z_sum[N];
static float pre[N_PRE], eps_v[N_PRE];
static float eps_a[N_PRE][N], e[N_PRE][N], e_bar[N_PRE][N], e_sum[N_PRE][N];
static float y[N_OUT], err[N_OUT], signal[N];

void setup(const float *w_in, const float *w_rec, const float *w_out, const float *constants)
{
    alpha = constants[0], rho = constants[1], kappa = constants[2];
    learning_rate = constants[3], l2 = constants[4];
    for (int j = 0; j < N; j++) {
        for (int i = 0; i < N_IN; i++) w[i][j] = w_in[j * N_IN + i];
        for (int i = 0; i < N; i++) w[N_IN + i][j] = w_rec[j * N + i];
    }
    memcpy(out, w_out, sizeof out);
    memset(w_m, 0, sizeof w_m), memset(w_v, 0, sizeof w_v);
    memset(out_m, 0, sizeof out_m), memset(out_v, 0, sizeof out_v);
    updates = 0;
}

void weights(float *w_in, float *w_rec, float *w_out)
{
    for (int j = 0; j < N; j++) {
        for (int i = 0; i < N_IN; i++) w_in[j * N_IN + i] = w[i][j];
        for (int i = 0; i < N; i++) w_rec[j * N + i] = w[N_IN + i][j];
    }
    memcpy(w_out, out, sizeof out);
}

static float bell(float x, float mean, float deviation)
{
    float scaled = (x - mean) / deviation;
    return expf(-0.5f * scaled * scaled) / (deviation * 2.5066283f);
}

static void step(const float *x)
{
    /* neurons */
    for (int i = 0; i < N_IN; i++) pre[i] = x[i];
    for (int i = 0; i < N; i++) pre[N_IN + i] = z[i];
    for (int j = 0; j < N; j++) current[j] = 0;
    for (int i = 0; i < N_PRE; i++)
        if (pre[i] != 0)
            for (int j = 0; j < N; j++) current[j] += w[i][j] * pre[i];
    for (int j = 0; j < N; j++) a[j] = rho * a[j] + (1 - rho) * z[j];
    for (int j = 0; j < N; j++) threshold[j] = v_threshold + beta * a[j];
    for (int j = 0; j < N; j++) v[j] = alpha * v[j] + (1 - alpha) * current[j] - z[j] * threshold[j];
    for (int j = 0; j < N; j++) u[j] = v[j] - threshold[j];
    for (int j = 0; j < N; j++) z[j] = u[j] > 0 ? 1.0f : 0.0f;
    for (int j = 0; j < N; j++)
        psi[j] = 0.5f * (1.15f * bell(u[j], 0, 0.5f) - 0.15f * bell(u[j], 0.5f, 3)
                         - 0.15f * bell(u[j], -0.5f, 3));

    /* traces */
    for (int i = 0; i < N_PRE; i++) eps_v[i] = alpha * eps_v[i] + pre[i];
    for (int i = 0; i < N_PRE; i++)
        for (int j = 0; j < N; j++)
            eps_a[i][j] = (rho - (1 - rho) * beta * psi[j]) * eps_a[i][j]
                          + psi[j] * eps_v[i] * (1 - rho) * (1 - alpha);
    for (int i = 0; i < N_PRE; i++)
        for (int j = 0; j < N; j++)
            e[i][j] = psi[j] * ((1 - alpha) * eps_v[i] - beta * eps_a[i][j]);
    for (int i = 0; i < N_PRE; i++)
        for (int j = 0; j < N; j++) e_bar[i][j] = kappa * e_bar[i][j] + e[i][j];
    for (int i = 0; i < N_PRE; i++)
        for (int j = 0; j < N; j++) e_sum[i][j] += e_bar[i][j];
    for (int j = 0; j < N; j++) z_bar[j] = kappa * z_bar[j] + z[j];
    for (int j = 0; j < N; j++) z_sum[j] += z_bar[j];
}

static void adam(int n, float *weight, float *m, float *v, const float *g)
{
    float one = 1 - powf(beta1, updates), two = 1 - powf(beta2, updates);
    for (int i = 0; i < n; i++) m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    for (int i = 0; i < n; i++) v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    for (int i = 0; i < n; i++)
        weight[i] -= learning_rate * (m[i] / one) / (sqrtf(v[i] / two) + epsilon);
}

/* One sample x[steps][N_IN]: forward, traces, Adam at its end. Returns the loss. */
float learn(const float *x, int steps, int label)
{
    memset(v, 0, sizeof v), memset(a, 0, sizeof a), memset(z, 0, sizeof z);
    memset(z_bar, 0, sizeof z_bar), memset(z_sum, 0, sizeof z_sum);
    memset(eps_v, 0, sizeof eps_v), memset(eps_a, 0, sizeof eps_a);
    memset(e_bar, 0, sizeof e_bar), memset(e_sum, 0, sizeof e_sum);
    for (int t = 0; t < steps; t++) step(x + t * N_IN);

    float largest = -INFINITY, sum = 0;
    for (int k = 0; k < N_OUT; k++) {
        y[k] = 0;
        for (int j = 0; j < N; j++) y[k] += out[k][j] * (z_sum[j] / steps);
    }
    for (int k = 0; k < N_OUT; k++) largest = fmaxf(largest, y[k]);
    for (int k = 0; k < N_OUT; k++) sum += expf(y[k] - largest);
    for (int k = 0; k < N_OUT; k++) err[k] = expf(y[k] - largest) / sum;
    float loss = -logf(err[label]);
    err[label] -= 1;

    for (int j = 0; j < N; j++) signal[j] = 0;
    for (int k = 0; k < N_OUT; k++)
        for (int j = 0; j < N; j++) signal[j] += out[k][j] * err[k] / steps;
    for (int i = 0; i < N_PRE; i++)
        for (int j = 0; j < N; j++) w_g[i][j] = signal[j] * e_sum[i][j];
    for (int j = 0; j < N; j++) w_g[N_IN + j][j] = 0; /* no self-connections */
    for (int k = 0; k < N_OUT; k++)
        for (int j = 0; j < N; j++) out_g[k][j] = err[k] * (z_sum[j] / steps);
    for (int i = 0; i < N_PRE; i++)
        for (int j = 0; j < N; j++) w_g[i][j] += l2 * w[i][j];
    for (int k = 0; k < N_OUT; k++)
        for (int j = 0; j < N; j++) out_g[k][j] += l2 * out[k][j];
    updates++;
    adam(N_PRE * N, &w[0][0], &w_m[0][0], &w_v[0][0], &w_g[0][0]);
    adam(N_OUT * N, &out[0][0], &out_m[0][0], &out_v[0][0], &out_g[0][0]);
    return loss;
}
