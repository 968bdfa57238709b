# What R says of series, for the core's tests: Rscript test/vectors/series.R > test/vectors/series.txt
# Each line is a name and numbers. Where R has a function for it (HoltWinters, mad, chisq.test), it is R's; else the
# formula of the textbook. test/vectors/run compares the file with what R says today, where R is installed.
say <- function(name, ...) cat(paste(c(name, sprintf("%.10g", c(...))), collapse = " "), "\n", sep = "")

# Holt and Winters over series that come with R. R begins with the second season; so must who compares.
winters <- function(name, x, alpha, beta, gamma) {
  season <- frequency(x)
  first <- as.numeric(x[1:season])
  fit <- HoltWinters(x, alpha, beta, gamma, l.start = mean(first), b.start = 0.1, s.start = first - mean(first))
  ahead <- 2 * season + 1
  foreseen <- predict(fit, ahead, prediction.interval = TRUE, level = 0.95)
  say(paste0(name, ".setting"), season, alpha, beta, gamma)
  say(paste0(name, ".start"), mean(first), 0.1, first - mean(first))
  say(paste0(name, ".points"), x[-(1:season)])
  say(paste0(name, ".fitted"), fit$fitted[, "xhat"])
  say(paste0(name, ".end"), fit$coefficients)
  say(paste0(name, ".forecast"), foreseen[, "fit"])
  say(paste0(name, ".widening"), (foreseen[, "upr"] - foreseen[, "fit"]) / qnorm(0.975) / sd(residuals(fit)))
}
winters("nottingham", nottem, 0.1, 0.01, 0.2)
winters("gas", UKgas, 0.4, 0.05, 0.6)
winters("deaths", UKDriverDeaths, 0.2, 0, 0)

robust <- function(name, x) {
  say(paste0(name, ".values"), x)
  say(paste0(name, ".median"), median(x))
  say(paste0(name, ".mad"), mad(x))
}
robust("rivers", rivers)
robust("precipitation", precip)
robust("few", c(1, 2, 4, 8))

# The examples of NIST's Engineering Statistics Handbook, 6.3.2.4 and 6.3.2.3.
ewma <- c(52, 47, 53, 49.3, 50.1, 47, 51, 50.1, 51.2, 50.5, 49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1)
say("ewma.points", ewma)
say("ewma.means", Reduce(function(mean, x) 0.3 * x + 0.7 * mean, ewma, 50, accumulate = TRUE)[-1])
say("ewma.limits", 50 + c(-3, 3) * 2.0539 * sqrt(0.3 / 1.7))
cusum <- c(324.925, 324.675, 324.725, 324.350, 325.350, 325.225, 324.125, 324.525, 325.225, 324.600,
           324.625, 325.150, 328.325, 327.250, 327.825, 328.500, 326.675, 327.775, 326.875, 328.350)
say("cusum.points", cusum)
say("cusum.high", Reduce(function(sum, x) max(0, sum + x - 325 - 0.3175), cusum, 0, accumulate = TRUE)[-1])
say("cusum.low", Reduce(function(sum, x) max(0, sum + 325 - 0.3175 - x), cusum, 0, accumulate = TRUE)[-1])

# Jensen and Shannon by entropies; the stability index with half a time for what was not met.
entropy <- function(p) -sum(p[p > 0] * log2(p[p > 0]))
drift <- function(name, before, now) {
  p <- before / sum(before)
  q <- now / sum(now)
  some <- before > 0 | now > 0
  was <- pmax(before, 0.5 * (before == 0))[some]
  is <- pmax(now, 0.5 * (now == 0))[some]
  was <- was / sum(was)
  is <- is / sum(is)
  say(paste0(name, ".before"), before)
  say(paste0(name, ".now"), now)
  say(paste0(name, ".divergence"), entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2)
  say(paste0(name, ".stability"), sum((is - was) * log(is / was)))
}
drift("moved", c(10, 40, 30, 0, 20, 0), c(20, 10, 30, 40, 0, 0))
drift("same", c(3, 1, 6), c(30, 10, 60))
drift("apart", c(5, 0), c(0, 7))

digits <- as.integer(substr(sprintf("%.15e", rivers), 1, 1))
counts <- tabulate(digits, 9)
expected <- log10(1 + 1 / 1:9)
say("benford.counts", counts)
say("benford.distance", mean(abs(counts / sum(counts) - expected)))
say("benford.chi_square", suppressWarnings(chisq.test(counts, p = expected))$statistic)

scores <- c(73, 21, 99, 47, 47, 21)
ages <- c(0, 1, 2, 0.5, 3, 0)
faded <- sort(scores * 2^-ages, decreasing = TRUE)
say("risk.scores", scores)
say("risk.ages", ages)
say("risk.shares", faded / seq_along(faded)^1.5 / sum((1:10000)^-1.5))
