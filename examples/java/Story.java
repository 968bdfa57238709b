// Ada is hired, and the spine knows; a consumer copies what happened. Needs the PostgreSQL JDBC driver, and a database where the role
// may emit, consume the subscription "copier", and write to the tables employee and copied. The argument is a JDBC URL.
import java.sql.*;
import java.util.UUID;
import org.postgresql.util.PSQLException;

public class Story {
  static final UUID ORGANIZATION = UUID.fromString("00000000-0000-4000-8000-000000000001");
  static final UUID ACTOR = UUID.fromString("00000000-0000-4000-8000-0000000000a1");

  interface Work<T> {
    T in(Connection connection) throws SQLException;
  }

  // Commits what work does, or nothing of it.
  static <T> T inTransaction(Connection connection, Work<T> work) throws SQLException {
    connection.setAutoCommit(false);
    try {
      T result = work.in(connection);
      connection.commit();
      return result;
    } catch (SQLException | RuntimeException error) {
      connection.rollback();
      throw error;
    } finally {
      connection.setAutoCommit(true);
    }
  }

  // Runs one statement and gives the first column of its first row.
  static Object ask(Connection connection, String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next() ? rows.getObject(1) : null;
      }
    }
  }

  // The row and its event are stored together, or neither is.
  static void hire(Connection connection, String name, String eventType) throws SQLException {
    inTransaction(connection, c -> {
      ask(c, "SELECT spine.set_context(?, ?)", ORGANIZATION, ACTOR);
      Object employee = ask(c, "INSERT INTO employee (name) VALUES (?) RETURNING id", name);
      return ask(c, "SELECT spine.emit_event(?, entity_id => ?, payload => jsonb_build_object('name', ?::text))", eventType, employee, name);
    });
  }

  // Takes a batch, copies it and acknowledges it in one transaction, so each event is copied exactly once. Gives how many
  // there were; null: there is nothing to do.
  static Object copyBatch(Connection connection) throws SQLException {
    return inTransaction(connection, c -> {
      Object batch = ask(c, "WITH taken AS MATERIALIZED (SELECT batch, (event).* FROM spine.next_batch('copier')),"
          + " copied AS (INSERT INTO copied (id, organization_id, sequence) SELECT id, organization_id, sequence FROM taken)"
          + " SELECT max(batch) FROM taken");
      return batch == null ? null : ask(c, "SELECT spine.acknowledge('copier', ?)", batch);
    });
  }

  public static void main(String[] arguments) throws SQLException {
    try (Connection connection = DriverManager.getConnection(arguments[0])) {
      hire(connection, "Ada", "hcm.employee.created");
      System.out.println("Ada is hired");
      try {
        hire(connection, "Bob", "Employee created");
      } catch (PSQLException error) {
        System.out.println(error.getSQLState() + ": " + error.getServerErrorMessage().getMessage());
        System.out.println("HINT: " + error.getServerErrorMessage().getHint());
      }
      for (Object copied; (copied = copyBatch(connection)) != null;) System.out.println("copied: " + copied);
    }
  }
}
